// Public KEM keys made by the implementations clients use, as base64: @signalapp/libsignal-client
// 0.103.0 (Kyber1024, with its type byte) and @noble/post-quantum (ML-KEM-768, ML-KEM-1024).
#pragma once

#include <string_view>

namespace nave::crypto {

constexpr std::string_view kLibsignalKyber1024 =
    "CBA0p/e0KZz0g6fMUBojjfeFeBN5srqWe2BQbDATsqYrR2a1b227jSvQRb2GUH1CGyKLPVbSl2NHSWiafEdiTiBnRs50"
    "vqmBn1rQzPG4fl+kd+XZeZ8chw31bK8RwcgwdT43VvxwA0hoaTaTXD80Clsxc0lkITP7OV8ZVt7iCzliKopxU870brvz"
    "wx7ZnHfRQcIoV3fBBqWhT+L6J7tgWLfHhV/mxMBHr/piOFsqsn7sKZAhx8B2lfsmwGnTw7dbtaG5cHBxduJbFJ9WW9Ag"
    "jfpSfu8DqEYWMypSmXqKqg/nD2z3ScZpEWcIs2x2SvcIyN1nAdpLET3guRVxPyP2BXpsGe6BC1r2tXRrehVazDTqC+y1"
    "EtkpPcHlQ2XTa1zXzOEcWujKOsiZOlb6e/P2cJ3hObhkLBhEGh3CzYD6ycxiGSZ4PImMPg1Kzj2wbt2cHQYsnAGyPd0R"
    "ArfaaK3Uw9A6UnSsx+nZc/2oWIL1xJDcBYXLEUNgRkaksUJJKlnLCSfVs2fRyKFKMI4ouFmslDzWm/lTxo9zFyVkqrL6"
    "UgzchAmHB3KFT8CJIi4oxgocymjmExegVF8EDt1gPtczRyDZFbFlB4LJAXqcHMdFRGAzqqNWkfoKGAITuGPWOVN1cOAX"
    "RUa3FwuBzgRbzYe5o+7nw+AoVQ84CL64FnNwGvemjN/wwiSjSxbIPA34TMWBBfkHOsHMUQs0yk83EHrgvuMQhni8zjEA"
    "PcrmL7Elmmu6kgXYhj7FpjGqUFprz5xZo/Yxo9T5GsXyU90Fi8YHspwqUXEAC13TKN1wAJQDXjyrUbEGIAfpWGs8FesT"
    "yc5hrBTaSuAgodsoR2d3E2+gWnJACYm6lSl8H/xEEd68cEh7AMXbVLEJQgaJkA5ysv1hySczs1Iyz88Lm7J6keKxIM3T"
    "RCSoExvrTOCJvRURAL6whJGYVGOqmj6Dayy0g81JhiCiJezkbtG3kKcnhCeZu/XVZIZxwsiYgJEWyvnyD9nUgC3gu/+k"
    "iObMGwyiqDrAxhAsMHAZRgn4Oh88kqbUeqe3LDhLPuB1TLSagcjWltFauvkCfWyDIwEpCrYUAzTlgnHorbLbkqUrlKuo"
    "LrEBC0l2eJsqwPyiIBPVJiGaxNrGHYXSofSgaJjXz/ICC2GUVMa3JhpSj41CLVgaOUQorTfTv7c3Cw3ZXB1HHgxBr7aT"
    "uJ8pkp47XAbQDlJnn6UyTLrCWmQHfEEFDWu2FBYrxDThXw0YaGVcHJV3B5/SC+9nCUPzpv91VPijarvyfqIHVouRNePj"
    "DBRTW7TpUjn6ou2svnbVqaDBIeqaKca0mHXgwXyHO5sQJWxDI4+rWK1DgI3ZhA6HrQe8l7x6fYicAKHKu280lXiQXB/T"
    "sNZ2NY2ZMhKVrExTyKtjWskaLAsEq3qVApbbIRNsHdNSCydzZ+3XKX1hjb/HLRz6x3pXiiSDRhHVQnk2VfugcHWGzqrs"
    "IHBZggEgvOAzWb3yD+B3q+wAC9ZsJpC8rFAyAq6IgPrWM6CVCK7xMYGJWpLAbv2EwlFblBPrjTSwflVzFXFDdix0bDIy"
    "AZxED3zLE14yJITHvwMSx24ZOeTySV1LS91MCQLsa/sFkKr5zOuUY15Sa0/omK6IWmKTe4hhkCe0oaC2YIzRgdJVnDR7"
    "XaNzc6PLd5S2YPtYLkaEJZCVon67jwTiiap0CwgIgzYAHzQjAsnsKTTFbkFqbo9TQsNxqUfoQX/RJXHkq1fWxFqpjsSw"
    "GfyzruyECuWYywcZhzwnyORIhO0zaFcKXWmUtkoyTBSzztfJGwtZoucaMRv7k3yZbmBwXb/mPF6USlLmQCm3jr0SiZB2"
    "rGYXBUlIMIR7hyOBYZAxG+TLy6HGO5I0c++5zCqBSL5svHfMdvm8GMr3Q+KrdqOhgXuMmfFJk4uAh404HGAWVOWybtSZ"
    "vIGEZQzEJZAMvSVcYmEUE5ThPg5CMQakor7lwATgVMxUpNCcWXIIQolTTDHcgdAUoQgqanmgb5eIZLCDjQ7bJ4+CJDe5"
    "sD3Tkj21AWEZZc2cIbTTB3Nbt51+MqqhPxsKLmj7W17wuNcghkQvgOTq7bFo4HwsxC+p";

constexpr std::string_view kNobleMlKem1024 =
    "OIa4THohVYZsOnkoSIgB4hLDYJh2vuKyNvUB9ooo7bupF2nMrSgi3+pGqDSsLNdB+4tO6nO0OYEeaCpi8Igp2bKKNjFJ"
    "YsiW2hsfkPS11zHGO0oYhcpEuTGmwhdDjCLDWMEfncBr0jWVmizNxWYJyKF3u/Ux22RPjPKhjeyQ2KoJS0gHu+hhzkyi"
    "deNeXSOg5pN7slqHWXyVxOA9VAKpBEKVfvlNnpanYQN+PRg2q0U8XLKew6a/WhJFFeBlBkM/EBVag1hlp8VvaVBBp+tW"
    "P6MEKPwd7WYJqrHPxyU101C+CJe4XTh1HbQ/lHeY67wWMaTLlhDIsmNOHyg/uashYexBxpgft1gsjcrDBRtcqMV+BseW"
    "V4qvUrKFxruWi2yZ2BBhT/OMI7in+WtfMJp0fpmB6zMQfDcVv9tukFI/mIpmwfWNcmGIN/oULINaiCKtXqm+pqVoNRUu"
    "s3Fz8IONGTyE5iMjiuQUQEUu6DGqrVdeS1rJLueDWzOCRNM+Mal2yHsVgSgE2fdxfGCPNhC3/9qUYcAN9xt2tsJrZ8lX"
    "Yvq7GabFIFmYEBgczllnvZidJfCy8nxIUStgegI4f8cmtSFMI/M00YyCs1YTl1AuJ+w4Tdw6q/JGeXVJHlcavUIYhtoV"
    "Klid++OX0KByv/ho/xKKDPOLSDuLMuZvKQHKlQuZXfxtAfgIO7ICg2R4FduxMUAbDYE/Rwp0rVe2UtdhKJm2YDsKJ4aQ"
    "goVActF/UcSOVYJJSHAXz5CdkMkHlrQrU/wbj+Q/gddKKlVzNxupNfp8U+BMlSvFmnpFysuFvAqzxHdr3EZ14bh/NVWB"
    "1imoW7enTixIR3QpURph5OobDqUT5Rc5MBPHoxOjp6ZFldNJZUwRR1Otx8RjzaeUNpo56bkoNihh+FtO9ntfuaIk2GwF"
    "0bwt0LREGMwgmOMrzcE5n1BekzcuhwMfhFzCrViAjeh/Mes3jYKA+4e7VCORMMhDt+wQ6QhkAJBWRkEuMjAO8NeVOFCi"
    "FEK1e9FKBwqnYTeRxHrKt1BXZPJO8Rdttfm0HdUcuvEjGEMBoLx/TbV3R1SW2yDFp4k+dftcfJlH2+TBaxleI1ydCbBT"
    "baodOyauBCZPSqAMsJlYDegeU5G8lcsBCniUAFU5DqhYsIQemGGTvuyclWHGpcRpOGM4c7hrKfh3CSOxPAFB72ECibJN"
    "R+IT5vce9zVuQpoNNDltHASjI+yXXIs7eQdyYFJoYsh27nazAPeRyEFZMBpABcmentx2GnwnYjUJYHefn2yHkBuM/3OA"
    "5jvKoRao/voUkeKnj+gor5gpI5Yhy6p+c8R+j+UoialP7XaEq4jPMNdT5JJuAyF7/uqJCgMfceAo25xW6SB3QgOCpkl2"
    "fXVMpfGW/SmOBfpgxNS3SKSNmvVqfgST22RnHTG5rfsFsElqlyFtE4YEwdSQokp7c1QRiSJp+PcZa5hOybGrUvZiEqxq"
    "zGiq0uts41JIc6jPkMNs+kCSWDFl6ep2HTm2jXmUj7YxqsK/jRK9G2MCVpZuMhystXtK5UUTA4ZbDbIHSlk6zyWE8fVG"
    "CykHkBIpzzWo7QFNYzUm0ipg+nSWd3qrrcE6spuXaxXMO3t7XzqgjSEfLaynKlQap7RHIlhNAMqrw3doqXQAJRKjhcd2"
    "ufsXnEh4fdG8bAk1Cdobm8lvYBN+OAmajmGV3KlXsKda6OcYKpeiOmHHydcJrRCbAwrGQzQAG0zMWuAF93WEzMjIyDpU"
    "YaSu+ZayY0vITYMgFHPCcIwB4zaM01Mh9Iu8KSFBvetAUqcSGNyWuAQOOJOh3ett4pyGCVyeATQCZeEd5LWUugp9E0qD"
    "bBQ+eUiRHLi2seqT52gDGwOS8/tluOhLDEYUHtZNFQUEmXRDrjlD38zLOzGkyqWTrREjJSVtFKA1e7ZyYhhu+fYePFW2"
    "JWtAtTR41auZzUh7gIM/gmc+QGJVeDiEIhhwoZMCy4qcBBNbofi60YyOjdw7nFYmQVmChHtZ7iY4P1GInsp8ebEDeItB"
    "hduil5Idi5ZOTWfB+QgsJGenT/heA0S90LAPbOcTt3IQmLRvHmmLc4d6DDetRFq3bjU=";

constexpr std::string_view kNobleMlKem768 =
    "crFiLdBsNEyGO8ST6AHAFKozvZuaZaRoDotvePxTN0RlOVZNzMkBQefB0Zmdz9xxzmBTvWc7Gpwawqlj1wPQ3octcuRZ"
    "7uhD6lIDJxledMRdZhK8XoVChaFD5DaK0sZ02sOpVbUxhpNyOYqWN4VY8WdxFMidXeUs+yM2zsAGket26vcCjMaTHltR"
    "qIs7TtKV4ZeeuIe+YbpE17hTgIOfYZVh1erJjsvH9Hwo/AkML3IQxwovsBVqMJQdUJG+w3cxn1Wj7MwGV9ey1YpBYCuS"
    "FBGn9zIlXDubs7YJQHgE/kF5EufLgNy4EnJr0Rg11ccgIbTEEEAKF+lQ8IWJrtFqtjCpRptTapRc9GoJzJQpqqZESDVP"
    "Cno7fckr5gBJJbtYqFB8JhdrIVnHz1IBNsul5hRbtSSeuwsZ3bdZJNmtKGm+9UZ++iEYgNYI8sinELRdl/EAK4RbP0PK"
    "5tVfxocBQotD1jhALzqqU1E2yCQDoWcXPEPLcUWwcESfXPZgxbV3u1ETBQkdHNSa3mIGFEt7PVKuK4BidmQ28TwCLtFN"
    "pIAfTWmfljSqWGxsbHGxRoUzUhFdL7kfKlYvGizND8qOF6M4K0WMG8LMB+MTjlQVKBaXDCRzlDolNSYoiIwpSCa9IIp7"
    "L4WYSbuFwmiwJ6ImDjJgHMNzXwwx8qUyMrjN8fFU7Isfj5l8HcR8funFBTGGeTMB7OxxpDJbVcWu5+GlE8fB3zgW8ePE"
    "EZthlKOiHSHLGcZQcsxhoSbNFGCEXfOlcOY/oseBqjOrugm5qCRdHIeLc4UYggNdYLQccJm0wrooR+WG19XDdVCaFKRQ"
    "MQi01vm9e1x0BjMxbdzGSHgUeSy8jgMlzSMnSYMacoLP5LIuD8uYtIKMPoSK1QJkBbCfvpSuNVCVUTSV+ZumU1x0nuKL"
    "lbBYUtQ7aNh3sfLHDnOv/ZyA/2ppecI+gtZkDmGRE8oXk9myrcO0Wrc6r7G408cGwdamaxkI+7EitFFjgvkw2qLFO5Bw"
    "nRasolLC9fnB5vZlnsh9ecY4qOGThfBBbsmKAiEajvO3UecajQtGu/KEMFvLreAnFJutkIdg9zMyZIhKehar0Slg7xZe"
    "rQV2x1LJmhh25zUXhKlScXjM0kdW27Gg97h5gGGuAfCH3/NajkantatwOcTJ+hd+FFmKedVp82WO90QIK6k/mlNrK2mM"
    "3oITKXkn8St+6SCBvzaj64c/7XeStVsSEYoz97WKqeZs/Pl/FVSxFDbKltIkYjQs68WURydWjhC2vVjJzlUrRhJrcSu6"
    "5vUHmdxYVeCFlwmAhgSAwEXH8lR3cKkX+Qs1nwLG36AEyayaKISNNnRbzRYJ/ec6DstGsazForpSHyKeThSKf3GyNtCG"
    "SOOVBvV6TAxoaoiQQrGSfic/QcG/iSJbFZtbPSDGZhEOCjVs4am2YbMavfPNCUu6v0Z/AUIt8msg2Ak/XDmEMFcXOsZI"
    "V1KW35gb6WDOoyUMhsNItpMVJpi7Xydgw/sVcbF8ziaD4CCa9KYbF6S7PQUTbGmEn2aWTUYDDOj2BJwMFo1DdHEpxKzm"
    "jbZ59dhIo8N4BPA=";

}  // namespace nave::crypto
